# Sourced by the scripts. Afterwards the working folder is the repository's root.
set -eu

# fail MESSAGE: end with one line.
fail() { echo "$0: error: $1" >&2; exit 2; }

CDPATH= cd -- "$(dirname "$0")"
while [ ! -f train.py ]; do
    [ "$PWD" != / ] || fail "no train.py in a folder above the script, expected the script inside the repository"
    cd ..
done

# PYTHON: the first one that has the packages: that of the active environment (but for conda's base, which is always
# active), of .venv (scripts/venv.sh makes it), or another.
HAS_PACKAGES='
import importlib.util, sys
packages = "torch transformers tqdm safetensors yaml scipy sklearn matplotlib jinja2".split()
sys.exit(sys.version_info < (3, 11) or not all(map(importlib.util.find_spec, packages)))'
PYTHON=no_packages
ACTIVE=${VIRTUAL_ENV:-}
if [ -z "$ACTIVE" ] && [ "${CONDA_DEFAULT_ENV:-base}" != base ]; then ACTIVE=${CONDA_PREFIX:-}; fi
for python in ${ACTIVE:+"$ACTIVE/bin/python"} .venv/bin/python python python3; do
    if "$python" -c "$HAS_PACKAGES" 2> /dev/null; then PYTHON=$python; break; fi
done

# no_packages: what is called where no Python has the packages. So only scripts that call Python fail.
no_packages() {
    fail "no Python 3.11 or newer with the packages as .venv/bin/python, python or python3; pip install -r requirements.txt"
}

# checkpoint NAME: a folder as it is; for a hub name the folder that download.sh made for it, if there is one.
checkpoint() {
    downloaded=data/encoders/$1
    if [ ! -d "$1" ] && [ -f "$downloaded/config.json" ]; then echo "$downloaded"; else echo "$1"; fi
}

DEVICE=auto
PROCESSES=1

# use_gpu GPUID: let what is launched run on that GPU, on several (0,1,2,3) with a process on each, or on the CPU (cpu).
# A GPU can be named by its UUID (GPU-..., MIG-...), too, as Slurm does.
use_gpu() {
    if [ $# -ne 1 ]; then
        echo "usage: $0 GPUID    (a number as nvidia-smi shows it, several as 0,1,2,3, or cpu);" \
            "hyper-parameters are at the top of the script" >&2
        exit 2
    fi
    if [ -z "$(printf ',%s' "$1" | sed 's/,cpu//g')" ]; then
        DEVICE=cpu
    elif [ -z "$(printf ',%s' "$1" | sed -E 's/,([0-9]+|(GPU|MIG)-[0-9a-f-]+)//g')" ]; then
        DEVICE=cuda; export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES="$1"
    else
        fail "GPUID '$1', expected a number as nvidia-smi shows it, several as 0,1,2,3, or cpu"
    fi
    PROCESSES=$(($(echo "$1" | tr ',' '\n' | wc -l)))   # as a number: on macOS wc pads it
    case $1 in MIG-*,* | *,MIG-*)
        fail "GPUID '$1', expected one MIG instance, because CUDA shows only one to a process; start the script once for each"
    esac
    if [ "$DEVICE" = cuda ] && [ -n "$(echo "$1" | tr ',' '\n' | sort | uniq -d)" ]; then
        fail "GPUID '$1', expected each GPU once; to put several runs on one GPU, start the script several times"
    fi
}

# launch SCRIPT FLAGS...: run train.py or rewind.py, by torchrun where several processes share the work.
# For several machines put torchrun's flags for that into TORCHRUN.
launch() {
    if [ "$PROCESSES" -gt 1 ] || [ -n "${TORCHRUN:-}" ]; then
        set -- -m mt_dnn.runtime.launch ${TORCHRUN:---standalone} --nproc-per-node "$PROCESSES" "$@"
        threads=1   # of a process with a GPU, as torchrun has it; processes on the CPU share the cores
        cores=$(nproc 2> /dev/null || getconf _NPROCESSORS_ONLN || echo 1)
        if [ "$DEVICE" = cpu ] && [ "$cores" -gt "$PROCESSES" ]; then threads=$((cores / PROCESSES)); fi
        OMP_NUM_THREADS="${OMP_NUM_THREADS:-$threads}" "$PYTHON" "$@"
    else
        "$PYTHON" "$@"
    fi
}
