#!/usr/bin/env bash
# What docs/cost.md expects of an H100, and what it has from one, measured: the most wanted
# first, in fifteen minutes. A command that is cut short keeps its rows, and the same call
# again goes on with them.
#
#     bash benchmarks/on_an_accelerator.sh [--dry-run]
#
# Commands of one study fill one folder, which `depthbench report FOLDER --publish` has the
# tables of.
set -fu
cd "$(dirname "$0")/.."

out=runs/accelerator
decoder="--architecture transformer_decoder --depth 24 --width 2048 --length 2048 --batch 8 --dtype bfloat16"
images="--length 224 --classes 1000 --dtype bfloat16 --optimizer momentum --mode step"
cublas=XLA_FLAGS=--xla_gpu_enable_triton_gemm=false

# Seconds at most, what is set in the environment, and a command.
commands=(
    " 90 depthbench run throughput --architecture resnet_imagenet --depth 50 --width 64 --batch 128 $images --loop scan,unrolled --out $out/throughput"
    "100 depthbench run throughput $decoder --mode step --loop scan,unrolled --out $out/throughput"
    "240 depthbench run peers --case resnet50,decoder_2048,lstm_1024 --rounds 12 --out $out/peers"
    " 60 depthbench run ensemble_speed --size full --out $out/ensemble_speed"
    " 60 depthbench run gradient_flow --out $out/gradient_flow_cold"
    " 30 depthbench run gradient_flow --out $out/gradient_flow_warm"
    " 40 depthbench run peers --case lstm --peer depthbench,jax,jax_cudnn,torch --out $out/peers"
    " 40 pytest -n 0 -q -m accelerator tests"
    " 50 depthbench run half_precision --out $out/half_precision"
    " 55 $cublas depthbench run throughput $decoder --mode step --loop unrolled --out $out/throughput_cublas"
    " 35 depthbench run throughput --architecture alexnet --depth 8 --width 96 --batch 1024 $images --out $out/throughput"
    " 75 depthbench run peers --case mlp_wide,mlp_deep,transformer,resnet20_unrolled,alexnet --peer depthbench,jax,torch --out $out/peers"
    " 25 depthbench run ten_thousand_layers --out $out/ten_thousand_layers"
)

# The device's memory is PyTorch's too, and the first gradient_flow finds nothing compiled.
export XLA_PYTHON_CLIENT_PREALLOCATE=false XDG_CACHE_HOME=$PWD/$out/cache

for entry in "${commands[@]}"; do
    read -r seconds command <<<"$entry"
    echo "$seconds $command"
    [[ ${1-} == --dry-run ]] && continue
    command=${command/depthbench /python -m depthbench }
    began=$SECONDS
    # shellcheck disable=SC2086  # words are words
    timeout --kill-after=10 "$seconds" env ${command/pytest /python -m pytest }
    echo "status $? after $((SECONDS - began)) s"
done
