#!/bin/bash
#SBATCH --job-name=depthbench
#SBATCH --array=0-7
#SBATCH --cpus-per-task=2
#SBATCH --time=01:00:00
# One share of a study for each task of a SLURM array, each in a folder of its own:
#
#   sbatch benchmarks/array.sh gradient_flow --depth 4,64,1024
#   depthbench merge runs/gradient_flow.parts/* --out runs/gradient_flow
#
# The array may begin anywhere and have steps, but no holes. A task that failed is run again
# with all numbers, `sbatch --array=0-7`: what is done is not run twice.
set -eu
study=$1
shift
exec python -m depthbench run "$study" "$@" --shard slurm \
    --out "${PARTS:-runs/$study.parts}/$SLURM_ARRAY_TASK_ID"
