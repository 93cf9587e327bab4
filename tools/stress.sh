#!/usr/bin/env bash
# Run the tests beside two busy processes, so that none depends on how fast or which the machine is.
#
#     tools/stress.sh [ROUNDS [PYTEST ARGUMENTS...]]
#
# A round runs the tests three times: under one BLAS thread, under two, and with OpenBLAS' kernels for
# another processor, whose sums differ in their last digits. The default is three rounds; a first
# failure does not end it, and the exit status counts the runs that failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rounds=${1:-3}
shift || true
python=${PYTHON:-.venv/bin/python}
if grep -q avx512f /proc/cpuinfo 2>/dev/null; then other=Haswell; else other=Nehalem; fi

busy=()
trap 'kill "${busy[@]}" 2>/dev/null' EXIT
for _ in 1 2; do
    "$python" -c 'while True: pass' &
    busy+=($!)
done

failed=0
run() { # name, then variables for the tests
    local name=$1
    shift
    echo "== stress: round $round of $rounds, $name"
    env MPLBACKEND=Agg "$@" "$python" -m pytest -q -n auto --dist worksteal "${arguments[@]}" || {
        echo "== stress: failed: round $round, $name"
        failed=$((failed + 1))
    }
}

arguments=("$@")
for ((round = 1; round <= rounds; round++)); do
    run "one BLAS thread" OMP_NUM_THREADS=1
    run "two BLAS threads" OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2
    run "kernels of $other" OMP_NUM_THREADS=1 OPENBLAS_CORETYPE="$other"
done
echo "== stress: $failed of $((3 * rounds)) runs failed"
exit "$failed"
