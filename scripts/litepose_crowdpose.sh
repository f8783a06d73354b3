#!/bin/sh
# LitePose on CrowdPose, the published result as a story of commands: one supernet, four networks out of it.
#
#     scripts/litepose_crowdpose.sh DATASET.yaml    the real thing: weeks on one GPU, as published
#     scripts/litepose_crowdpose.sh --quick         every step on drawn people and a small space: about a minute, no result
#
# Everything is written into the current folder; a step that was stopped goes on with `litepose-nas VERB --resume`.
# The dataset YAML:
#
#     path: /data/crowdpose
#     train: {images: images, annotations: json/crowdpose_trainval.json}
#     val: {images: images, annotations: json/crowdpose_test.json}
#
# Published AP on the test pictures, by the networks' MACs as the paper counts: 1.2 G 49.5, 5.0 G 58.3, 7.8 G 59.9,
# 13.7 G 61.9. Counted exactly these are 0.88, 3.61, 5.26 and 9.96 G.
set -e
usage="usage: $0 DATASET.yaml, or $0 --quick"
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if ! command -v litepose-nas > /dev/null; then
    "$here/scripts/setup"
    PATH="$here/.venv/bin:$PATH"
fi

if [ "$1" = --quick ]; then
    data=people space=litepose-tiny supernet="--steps 12 batch=4" evals=4 alone="--steps 12"
    nets="xs=0.03GMAC s=0.06GMAC"
    litepose-nas data toy people --train 40 --val 10 --size 64
elif [ -f "$1" ]; then
    data=$1 space=litepose supernet="--epochs 2400" evals=1000 alone="--epochs 500"
    nets="xs=1.2GMAC s=5.0GMAC m=7.8GMAC l=13.7GMAC"
else
    echo "$usage" >&2
    exit 2
fi

# 1. One training for the whole space. Takes pictures; gives runs/train-supernet/supernet. The published recipe draws one
#    network and one resolution a step, plain errors and exp push. Without `--recipe litepose` it is ours, and shorter.
litepose-nas train-supernet --space $space --data "$data" --recipe litepose $supernet

for net in $nets; do
    name=litepose-${net%%=*} budget=${net#*=}

    # 2. The best network within the budget, MACs counted as the paper counts. Takes the supernet and a slice of the
    #    training pictures that it never learned from; gives subnet.json and the whole front in runs/search/.
    litepose-nas search --budget $budget --mac-convention litepose --evals $evals --name "$name"
    mv subnet.json "$name.json"

    # 3. Its weights, copied out of the supernet and calibrated.
    litepose-nas extract "$name.json"

    # 4. Training alone, at the published rate, without averaged weights. Gives the weights that ship.
    litepose-nas finetune "$name.safetensors" $alone --name "$name" lr=0.004 ema=0
    mv subnet-finetuned.safetensors "$name-finetuned.safetensors"

    # 5. The figures. These are COCO's ten lines, not yet CrowdPose's own (easy, medium, hard). --flip looks at
    #    the mirrored picture too.
    litepose-nas evaluate "$name-finetuned.safetensors" --flip

    # 6. A file for the device, kept only if ONNX Runtime and torch agree.
    litepose-nas export "$name-finetuned.safetensors" --out "$name.onnx"
done
