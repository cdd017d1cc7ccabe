#!/bin/sh
# Download GLUE, SNLI, SciTail and encoder weights.
#
#   sh download.sh [DIR] [NAME...]
#
#   DIR    where to put them (default: data, beside this file): DIR/glue/RTE/train.tsv ...,
#          DIR/encoders/bert-base-uncased/...
#   NAME   only these: cola sst mrpc stsb qqp mnli qnli rte wnli ax snli scitail,
#          or an encoder by its hub name (bert-large-uncased). Default: all tasks and bert-base-uncased.
#
# What is in place is not downloaded again; a download that broke off goes on where it stopped.
set -eu

# Where things come from. Mirrors: set a variable before the call.
GLUE_URL=${GLUE_URL:-https://dl.fbaipublicfiles.com/glue/data}
MRPC_URL=${MRPC_URL:-https://dl.fbaipublicfiles.com/senteval/senteval_data}
SNLI_URL=${SNLI_URL:-https://nlp.stanford.edu/projects/snli}
SCITAIL_URL=${SCITAIL_URL:-http://data.allenai.org.s3.amazonaws.com/downloads}
HUB_URL=${HF_ENDPOINT:-https://huggingface.co}

TASKS="cola sst mrpc stsb qqp mnli qnli rte wnli ax snli scitail"
DIR=${1:-$(dirname "$0")/data}
usage() {
    echo "usage: sh download.sh [DIR] [NAME...]    DIR: a folder, such as data or ./bert;" \
        "NAME: some of $TASKS, or an encoder's hub name" >&2
    exit 2
}
case " $TASKS " in *" $DIR "*) usage ;; esac
case $DIR in -*) usage ;; esac
case ${1:-} in   # an encoder's name where DIR was forgotten
    "" | [./]*) ;;
    *[Bb][Ee][Rr][Tt]* | *electra* | *mpnet* | *MiniLM*)
        if [ ! -d "$DIR" ]; then
            echo "download.sh: error: $DIR looks like an encoder's name; for a folder of this name, write ./$DIR" >&2
            usage
        fi ;;
esac
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $TASKS bert-base-uncased
command -v curl >/dev/null || { echo "download.sh: error: no curl found, expected it to download" >&2; exit 2; }
PYTHON=$(command -v python3 || command -v python) && "$PYTHON" -c "import zipfile, zlib" 2>/dev/null || {
    echo "download.sh: error: no python3 that runs and has zlib, expected one to unpack archives" >&2
    exit 2
}
CURL="curl -fL --retry 2 --connect-timeout 20 --speed-limit 1000 --speed-time 60"   # bytes per second, seconds

main() {
    lock
    failed=""
    for name in "$@"; do
        get "$name" || failed="$failed $name"
    done
    [ -z "$failed" ] && return
    echo "download.sh: error: not complete:$failed; the reasons stand above. Run the same command again to go on." >&2
    exit 1
}

# lock: one call at a time for a folder, as two would write into the same parts. The lock is a link, as a link is made
# in one step; it names the computer and the process.
lock() {
    LOCK=$DIR/.download_lock
    why=$(mkdir -p "$DIR" 2>&1) || {
        if [ -L "$DIR" ]; then why="a link to $(readlink "$DIR"), which is not there"; fi
        echo "download.sh: error: $DIR: no folder can be made: $why" >&2
        exit 2
    }
    ln -s "$(uname -n):$$" "$LOCK" 2>/dev/null || {
        if [ -L "$LOCK" ]; then
            echo "download.sh: error: $DIR: another call downloads into it ($(readlink "$LOCK"), computer and process);" \
                "wait for it, or remove $LOCK if it was killed" >&2
        else
            echo "download.sh: error: $DIR: no link can be made in it, expected a folder to write to" >&2
        fi
        exit 2
    }
    trap 'rm -f "$LOCK"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP QUIT PIPE
}

MNLI_FILES="train.tsv dev_matched.tsv dev_mismatched.tsv test_matched.tsv test_mismatched.tsv"
SNLI_FILES="snli_1.0_train.txt snli_1.0_dev.txt snli_1.0_test.txt"
SCITAIL_FILES="scitail_1.0_train.tsv scitail_1.0_dev.tsv scitail_1.0_test.tsv"

# get NAME: where each thing comes from, and which files it must bring. What fails must say so by its
# status, command by command: below a `||` the shell does not end at a failure by itself.
get() {
    case $1 in
        cola)    archive "$GLUE_URL/CoLA.zip"            CoLA    CoLA   "train.tsv dev.tsv test.tsv" ;;
        sst)     archive "$GLUE_URL/SST-2.zip"           SST-2   SST-2  "train.tsv dev.tsv test.tsv" ;;
        stsb)    archive "$GLUE_URL/STS-B.zip"           STS-B   STS-B  "train.tsv dev.tsv test.tsv" ;;
        qqp)     archive "$GLUE_URL/QQP-clean.zip"       QQP     QQP    "train.tsv dev.tsv test.tsv" ;;
        mnli)    archive "$GLUE_URL/MNLI.zip"            MNLI    MNLI   "$MNLI_FILES" && get ax ;;
        qnli)    archive "$GLUE_URL/QNLIv2.zip"          QNLI    QNLI   "train.tsv dev.tsv test.tsv" ;;
        rte)     archive "$GLUE_URL/RTE.zip"             RTE     RTE    "train.tsv dev.tsv test.tsv" ;;
        wnli)    archive "$GLUE_URL/WNLI.zip"            WNLI    WNLI   "train.tsv dev.tsv test.tsv" ;;
        snli)    archive "$SNLI_URL/snli_1.0.zip"        SNLI    snli_1.0 "$SNLI_FILES" ;;
        scitail) archive "$SCITAIL_URL/SciTailV1.1.zip"  SciTail SciTailV1.1/tsv_format "$SCITAIL_FILES" ;;
        mrpc)    mrpc ;;
        ax)      plain "$GLUE_URL/AX.tsv" "$DIR/glue/AX/AX.tsv" ;;
        *)       encoder "$1" ;;
    esac
}

# in_place FOLDER "FILES": all there and none empty.
in_place() {
    for file in $2; do
        [ -s "$1/$file" ] || return 1
    done
}

# fetch URL FILE: through FILE.part, which a later call goes on with.
fetch() {
    mkdir -p "$(dirname "$2")"
    echo "$1"
    bar="-sS"; if [ -t 2 ]; then bar="--progress-bar"; fi
    status=0
    answer=$($CURL $bar -C - -w '%{http_code}' -o "$2.part" "$1") || status=$?
    # Where the server does not go on, the part may be whole, damaged, or older.
    case $status:$answer in *:416 | 33:* | 36:*)
        if [ -e "$2.part" ]; then
            rm "$2.part"
            status=0
            $CURL $bar -o "$2.part" "$1" || status=$?
        fi
    esac
    [ $status -eq 0 ] && [ -s "$2.part" ] || return
    if head -c 1000 "$2.part" | LC_ALL=C grep -Eqi '^[[:space:]]*<(html|!doctype)'; then
        rm "$2.part"
        echo "download.sh: error: $1: a web page came, such as that of a proxy; it was removed" >&2
        return 1
    fi
    mv "$2.part" "$2"
}

# by_hand URL FOLDER "FILES": what to do where the network does not help.
by_hand() {
    echo "download.sh: error: $1: no usable download; by hand: get it in another way and put" \
        "$(echo "$3" | sed 's/ /, /g') into $2" >&2
    return 1
}

# plain URL FILE: a file as it is.
plain() {
    folder=$(dirname "$2") file=$(basename "$2")
    if in_place "$folder" "$file"; then echo "$2: in place"; return; fi
    fetch "$1" "$2" || by_hand "$1" "$folder" "$file"
}

# archive URL FOLDER INSIDE "FILES": the FILES of a zip archive, below INSIDE there, as DIR/glue/FOLDER.
# Unpacking checks the sums that the archive holds.
archive() {
    url=$1 folder=$DIR/glue/$2 inside=$3 files=$4
    if in_place "$folder" "$files"; then echo "$folder: in place"; return; fi
    zip=$DIR/glue/$2.zip unpacked=$DIR/glue/.$2.part
    [ -s "$zip" ] || fetch "$url" "$zip" || { by_hand "$url" "$folder" "$files"; return; }
    rm -rf "$unpacked"
    if why=$("$PYTHON" -m zipfile -e "$zip" "$unpacked" 2>&1) && in_place "$unpacked/$inside" "$files"; then
        mkdir -p "$folder" || return
        for file in $files; do mv "$unpacked/$inside/$file" "$folder/" || return; done
        rm -rf "$unpacked" "$zip"
        echo "$folder: complete"
    elif [ -n "$why" ] && is_whole "$zip"; then   # as on a full disk
        rm -rf "$unpacked"
        echo "download.sh: error: $zip: not unpacked: $(echo "$why" | tail -n 1)" >&2
        return 1
    else
        rm -rf "$unpacked" "$zip"
        echo "download.sh: error: $url: the archive is damaged or lacks files; it was removed" >&2
        by_hand "$url" "$folder" "$files"
    fi
}

# is_whole ZIP: an archive whose sums are right.
is_whole() {
    "$PYTHON" -c 'import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)' "$1" 2>/dev/null
}

# MRPC comes as the original corpus and GLUE's list of the pairs that form the dev set.
mrpc() {
    folder=$DIR/glue/MRPC
    if in_place "$folder" "train.tsv dev.tsv test.tsv"; then echo "$folder: in place"; return; fi
    for url in "$MRPC_URL/msr_paraphrase_train.txt" "$MRPC_URL/msr_paraphrase_test.txt" "$GLUE_URL/mrpc_dev_ids.tsv"; do
        plain "$url" "$folder/$(basename "$url")" || return
    done
    awk -F '\t' -v folder="$folder" '
        { sub(/\r$/, "") }
        NR == FNR { dev[$1 "\t" $2]; next }
        FNR == 1 { print > (folder "/train.part"); print > (folder "/dev.part"); next }
        { print > (folder (($2 "\t" $3) in dev ? "/dev.part" : "/train.part")) }
    ' "$folder/mrpc_dev_ids.tsv" "$folder/msr_paraphrase_train.txt" || return
    awk -F '\t' '
        { sub(/\r$/, "") }
        NR == 1 { print "index\t#1 ID\t#2 ID\t#1 String\t#2 String"; next }
        { print NR - 2 "\t" $2 "\t" $3 "\t" $4 "\t" $5 }
    ' "$folder/msr_paraphrase_test.txt" > "$folder/test.part" || return
    if [ "$(wc -l < "$folder/dev.part")" -lt 2 ]; then   # not the list, or not that of these pairs
        rm "$folder/"*.part "$folder/msr_paraphrase_train.txt" "$folder/mrpc_dev_ids.tsv"
        by_hand "$url" "$folder" "train.tsv dev.tsv test.tsv"
        return
    fi
    for split in train dev test; do mv "$folder/$split.part" "$folder/$split.tsv" || return; done
    rm "$folder/msr_paraphrase_train.txt" "$folder/msr_paraphrase_test.txt" "$folder/mrpc_dev_ids.tsv"
    echo "$folder: complete"
}

# encoder NAME: weights, config and tokenizer of the hub, as a folder that --init_checkpoint takes. The config comes
# last: the scripts take a folder with a config for a whole encoder (common.sh: checkpoint).
encoder() {
    folder=$DIR/encoders/$1 wanted="tokenizer.json tokenizer_config.json model.safetensors config.json"
    if in_place "$folder" "$wanted"; then echo "$folder: in place"; return; fi
    for file in $wanted; do
        plain "$HUB_URL/$1/resolve/main/$file" "$folder/$file" || {
            echo "download.sh: error: '$1' is taken for an encoder of the hub; the tasks are: $TASKS" >&2
            return 1
        }
    done
    echo "$folder: complete"
}

main "$@"
