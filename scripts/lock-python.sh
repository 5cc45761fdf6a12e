#!/usr/bin/env bash
# Writes a lock: every package of an environment by version. By version and not by hash, because the same pin is
# another file by machine: torch's CPU build here, its CUDA build there.
#
#   lock-python.sh                       workers/python/requirements.lock, of .limbeck/venv
#   lock-python.sh PYTHON IMAGE          infra/images/IMAGE/requirements.lock, of the environment of that Python
#
# Run it after `pip install -r requirements.txt` in that environment.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${1:-$root/.limbeck/venv/bin/python}
lock=${2:+$root/infra/images/$2/requirements.lock}
"$python" -m pip freeze --all --exclude pip --exclude-editable |
  sed -E \
    -e 's/^(torch|torchvision)==([^+]*)\+.*/\1==\2/' \
    -e '/^coremltools==/s/$/ ; python_version < "3.14" and ((sys_platform == "linux" and platform_machine == "x86_64") or sys_platform == "darwin")/' \
    >"${lock:-$root/workers/python/requirements.lock}"
