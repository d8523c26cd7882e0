#!/usr/bin/env bash
# Everything anew, nearly as the shipped models were made (their cards say where they differ): `make
# train` calls it. About eight hours on two quiet cores, in this order. A step whose result is there
# is passed over; a training that was interrupted goes on from its last checkpoint (call it again).
#
#   retrain.sh RUNS PYTHON       RUNS: folder of shards, checkpoints and models
#   TEACHER=PYTHON               one that has RapidOCR (.venv-bench); without it, no pseudo-labels
#   BF16=--bf16                  on processors that have it (avx512_bf16, amx): nearly twice as fast
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
runs=$1 python=$2
mkdir -p "$runs"

shards() { # SEED COUNT [REGION]
  [ -e "$runs/shards/labels-$1.jsonl" ] ||
    "$python" -m plate_renderer shards --seed "$1" --count "$2" ${3:+--region "$3"} --out "$runs/shards"
}

echo "== rendered plates (160,000), signs, a shard for calibration"
shards 21 25000; shards 22 25000; shards 32 30000
shards 131 12000 br; shards 33 4000 gb; shards 34 4000 de; shards 35 2500 fr; shards 36 2500 it
shards 37 2500 es; shards 38 2500 nl; shards 39 2000 pl; shards 40 4000 us-ny; shards 41 5000 us-ca
shards 42 1500 eu-ro
seed=51
for state in fl wy or md id tx wa va il nj pa ut sd la ri ct mo nh nm hi me ms ok nc ga ky tn de wv \
  ak al ks nd mi dc sc mn mt co oh vt ia ar in wi ma ne az nv; do
  case $state in fl|tx|oh|pa|il) shards $seed 1200 us-$state ;; *) shards $seed 700 us-$state ;; esac
  seed=$((seed + 1))
done
[ -e "$runs/held-out/labels-99.jsonl" ] ||
  "$python" -m plate_renderer shards --seed 99 --count 1500 --out "$runs/held-out"
[ -e "$runs/patches" ] || "$python" make_patches.py --count 4000 --seed 5 --out "$runs/patches"
[ -e "$runs/signs" ] || "$python" make_patches.py --kind signs --count 700 --seed 6 --out "$runs/signs"

echo "== recogniser, first round, 98 minutes"
"$python" train_recogniser.py --out "$runs/reader-1" --shards "$runs/shards" --minutes 98 --batch 64 \
  --lr 2e-3 --real-share 0.35 --easy-samples 60000 --seed 1 ${BF16:-}
"$python" calibrate.py --run "$runs/reader-1" --shards "$runs/held-out"
"$python" export.py recogniser --run "$runs/reader-1" --models "$runs/first"

echo "== detector, first round, 28 minutes"
"$python" train_detector.py --out "$runs/detector-1" --minutes 28 --lr 2.5e-3 --seed 1 \
  --art "$runs/patches" --signs "$runs/signs" ${BF16:-}
"$python" export.py detector --run "$runs/detector-1" --models "$runs/first" --fp32
[ -e "$runs/mined.json" ] || "$python" mine_corners.py --models "$runs/first" --out "$runs/mined.json"

if [ -n "${TEACHER:-}" ] && [ ! -e "$runs/pseudo.jsonl" ]; then
  echo "== what a larger reader makes of the plates that nobody has read"
  "$TEACHER" teacher.py --out "$runs/teacher.jsonl"
  "$python" agree.py --teacher "$runs/teacher.jsonl" --mined "$runs/mined.json" \
    --models "$runs/first" --out "$runs/pseudo.jsonl"
fi

echo "== recogniser, second round, 92 minutes"
mkdir -p "$runs/reader-2" "$runs/reader"
cp "$runs/reader-1/regions.json" "$runs/reader-2/"
pseudo=()
[ ! -e "$runs/pseudo.jsonl" ] || pseudo=(--pseudo "$runs/pseudo.jsonl")
"$python" train_recogniser.py --out "$runs/reader-2" --start "$runs/reader-1/last.pt" \
  --shards "$runs/shards" "${pseudo[@]}" --minutes 92 --batch 64 --lr 1.6e-3 --real-share 0.33 \
  --seed 21 ${BF16:-}
"$python" soup.py "$runs/reader-1" "$runs/reader-2" --out "$runs/reader-12"

echo "== recogniser, third round, 82 minutes: characters of real plates change places"
[ -e "$runs/spliced/labels-400.jsonl" ] ||
  "$python" splice.py --start "$runs/reader-12/last.pt" --count 60000 --seed 400 --out "$runs/spliced"
cp "$runs/reader-1/regions.json" "$runs/reader/"
"$python" train_recogniser.py --out "$runs/reader" --start "$runs/reader-12/last.pt" \
  --shards "$runs/shards" "${pseudo[@]}" --spliced "$runs/spliced" --spliced-share 0.3 \
  --minutes 82 --batch 64 --lr 1.6e-3 --real-share 0.2 --seed 31 ${BF16:-}
"$python" calibrate.py --run "$runs/reader" --shards "$runs/held-out"

echo "== detector, second round, 62 minutes"
"$python" train_detector.py --out "$runs/detector-2" --start "$runs/detector-1/last.pt" --minutes 62 \
  --lr 1.8e-3 --seed 3 --mined "$runs/mined.json" --art "$runs/patches" --signs "$runs/signs" ${BF16:-}

echo "== models, int8"
"$python" export.py detector --run "$runs/detector-2" --models "$runs/models"
"$python" export.py recogniser --run "$runs/reader" --models "$runs/models"
"$python" plot_curves.py "$runs/reader" "$runs/detector-1" "$runs/detector-2" --out "$runs/curves.png"
echo "done: $runs/models"
