# `./setup_hw.sh test` makes the .venv these use, and then runs `make check`.
.PHONY: check format soak train

check:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/shellcheck --external-sources setup_hw.sh
	.venv/bin/pytest

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

soak:
	EDGEROUTE_SOAK=1 .venv/bin/pytest -m soak

# Teaches the understanding model anew from the authored prompts: some ten minutes, the same bytes.
train:
	cd models/understanding && ../../.venv/bin/python -m train
