#!/usr/bin/env bash
# Writes workers/python/requirements.lock: every package of the installed environment by version. By version and not
# by hash, because the same pin is another file by machine: torch's CPU build here, its CUDA build there.
# Run it after `pip install -r workers/python/requirements.txt` in .limbeck/venv.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/.limbeck/venv/bin/python" -m pip freeze --all --exclude pip --exclude-editable |
  sed -E \
    -e 's/^(torch==[^+]*)\+.*/\1/' \
    -e '/^coremltools==/s/$/ ; python_version < "3.14" and ((sys_platform == "linux" and platform_machine == "x86_64") or sys_platform == "darwin")/' \
    >"$root/workers/python/requirements.lock"
