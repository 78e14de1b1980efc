#!/usr/bin/env bash
# Test on several GPUs (or, without one, in several processes) of this machine, or of NNODES machines.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py...]
  several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500 $0 CONFIG CHECKPOINT GPUS_PER_NODE ..." >&2
    exit 2
fi
CONFIG=$1 CHECKPOINT=$2 GPUS=$3
shift 3
if [ "${NNODES:-1}" != 1 ] && [ -z "${MASTER_ADDR:-}" ]; then
    echo "NNODES=$NNODES: set MASTER_ADDR to the name of the machine that has NODE_RANK=0" >&2
    exit 2
fi
if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    RENDEZVOUS=(--standalone) # a free port, so that two runs do not meet
else
    RENDEZVOUS=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${RENDEZVOUS[@]}" --nproc_per_node="$GPUS" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
