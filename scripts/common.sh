# Sourced by the scripts, after which the repository's root is the working folder.
set -eu
cd "$(dirname "$0")"
while [ ! -f train.py ]; do cd ..; done

if [ -f .venv/requirements.installed ]; then   # made by scripts/venv.sh
    PYTHON=.venv/bin/python
else
    PYTHON=$(command -v python || command -v python3) || { echo "$0: error: no python found, expected one with the packages of requirements.txt" >&2; exit 2; }
fi

# checkpoint NAME: the folder that download.sh made for an encoder, or else its hub name.
checkpoint() {
    if [ -d "data/encoders/$(basename "$1")" ]; then echo "data/encoders/$(basename "$1")"; else echo "$1"; fi
}

# use_gpu GPUID: let the commands that follow run on that GPU, or on the CPU with `cpu`.
use_gpu() {
    if [ $# -ne 1 ]; then
        echo "usage: $0 GPUID    (a number as nvidia-smi shows it, or cpu); hyper-parameters are at the top of the script" >&2
        exit 2
    fi
    DEVICE=cuda
    if [ "$1" = cpu ]; then DEVICE=cpu; else export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES="$1"; fi
}
