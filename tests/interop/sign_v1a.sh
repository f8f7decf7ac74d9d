#!/bin/sh
# A Scheme of nothing but sh and openssl: signs a webhook by Standard Webhooks v1a and prints its Webhook-Signature.
# Usage: sign_v1a.sh KEY.pem ID TIMESTAMP BODY_FILE
set -eu
signed=$(mktemp)
trap 'rm -f "$signed"' EXIT
printf '%s.%s.' "$2" "$3" | cat - "$4" > "$signed"
printf 'v1a,'
openssl pkeyutl -sign -rawin -inkey "$1" -in "$signed" | openssl base64 -A
