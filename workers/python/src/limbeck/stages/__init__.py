"""One file a stage kind; `python -m limbeck.stages WORKDIR` runs one (see context.py)."""
