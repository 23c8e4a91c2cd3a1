#!/usr/bin/env bash
# Train the next audiox-nano from nothing: bash train-nano.sh FOLDER DEVICE [OPTIONS of `train`]
#
# DEVICE is cpu (with two processes) or cuda. The stages follow one another; the same command
# continues a run that was stopped. It needs what audiox_core/README.md says of `--data effects`.
# With MINUTES=10, the steps of no stage take longer than its share of ten minutes; preparing the
# clips comes on top. PYTHON is the interpreter.
set -euo pipefail
if (($# < 2)); then
  echo "usage: bash $0 FOLDER cpu|cuda [OPTIONS]" >&2
  exit 2
fi

folder=$(realpath -m "$1") device=$2 minutes=${MINUTES:-0} python=${PYTHON:-python}
options=("${@:3}")
cd "$(dirname "$0")/../.."
assets=audiox_core/assets
if [[ $device == cpu ]]; then
  export OMP_NUM_THREADS=1
  train=("$python" -m torch.distributed.run --standalone --nproc-per-node 2 -m audiox_core train)
  vae_batch=4 batch=8
else
  train=("$python" -m audiox_core train)
  vae_batch=32 batch=64
fi

stage() { # name, share of the minutes, stage and options of `train`
  local name=$1 share=$2 limit
  shift 2
  [[ ! -e $folder/$name/done ]] || return 0
  limit=$(awk "BEGIN { print $share * $minutes }")
  "${train[@]}" "$@" --data effects --device "$device" --cache "$folder/cache" \
    --output "$folder/$name" --set "run.minutes=$limit" "${options[@]}"
  touch "$folder/$name/done"
}

vae=(--config "$assets/audiox-nano-2-vae.toml" --set "optim.batch=$vae_batch")
model=(--config "$assets/audiox-nano-2.toml" --set "optim.batch=$batch")
latents=(--vae "$folder/vae/vae.safetensors")

stage vae 0.4 vae "${vae[@]}"
# heads that predict latents and find the right sound, for text and pictures
stage encoders 0.1 encoders "${model[@]}" "${latents[@]}" --set run.steps=1200 \
  --set optim.lr=1e-3 --set optim.warmup_steps=50 --set masks.absent=0.1
stage diffusion 0.35 diffusion "${model[@]}" "${latents[@]}" \
  --init "$folder/encoders/model.safetensors"
# the decoder learns to bear the transformer's errors; the latents stay as they are
stage decoder 0.15 vae "${vae[@]}" --init "$folder/diffusion/model.safetensors" \
  --set vae.train_encoder=false --set vae.noise=0.3
echo "$folder/decoder/model.safetensors"
