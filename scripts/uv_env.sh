# Sourced, not run. uv does not read pip's configuration: where the machine names its own package
# index or certificates for pip, uv is told the same. What is set for uv already stays as it is.
pip_setting() {
    .venv/bin/python -m pip config get "global.$1" 2>/dev/null || true
}

if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$(pip_setting index-url)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi
if [ -z "${SSL_CERT_FILE:-}" ]; then
    certificates=${PIP_CERT:-$(pip_setting cert)}
    [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
fi
