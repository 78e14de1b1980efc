"""What has another name now, and works under the old one for one release."""
