from .stacked_data_preprocessor import StackedDataPreprocessor

__all__ = ['StackedDataPreprocessor']
