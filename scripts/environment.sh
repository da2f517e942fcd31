# Sourced by scripts/demo, scripts/test and scripts/lint: finds Python, makes .venv, installs only when something changed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${LTML_VENV:-$root/.venv}
everything='.[benchmark,timm,tensorboard,review,dicom,ray,spark,spacy,dev]'

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    say "Python 3.11, 3.12 or 3.13 was not found. Install one (Debian/Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12) or name it: PYTHON=/path/to/python $0"
    return 1
}

make_venv() {
    if "$venv/bin/python" -c '' 2>/dev/null; then return; fi
    local python
    python=$(find_python)
    say "Making $(basename "$venv") with $("$python" --version)"
    if ! "$python" -m venv "$venv" >&2; then
        rm -rf "$venv"
        say "$python cannot make a virtual environment. On Debian/Ubuntu: apt install python3-venv"
        return 1
    fi
}

# install STAMP PIP-ARGUMENTS... : runs pip once for each state of pyproject.toml and the pinned files.
install() {
    local stamp=$venv/.installed-$1 wanted
    shift
    wanted=$(cat "$root/pyproject.toml" "$root"/scripts/*.txt | "$venv/bin/python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read() + " ".join(sys.argv[1:]).encode()).hexdigest())' "$@")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
    say "Installing: $*"
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2)
    echo "$wanted" >"$stamp"
}
