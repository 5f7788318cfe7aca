#!/usr/bin/env bash
# Makes the certificates of the tests in Tests/Certificates anew. They are good for a hundred years, and for nothing but
# tests: their keys are public. Needs openssl.
set -euo pipefail
cd "$(dirname "$0")/../Tests/Certificates"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.pem

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }

# authority NAME: signs itself.
authority() {
    key "$work/$1.key"
    openssl req -x509 -new -key "$work/$1.key" -subj "/CN=llama-balancer tests, $1" -days 36500 -out "$1.pem" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
}

# signed NAME ALTERNATIVE_NAMES FROM UNTIL: NAME.pem with its key NAME-key.pem, signed by the authority.
signed() {
    key "$1-key.pem"
    openssl req -new -key "$1-key.pem" -subj "/CN=$1" -out "$work/$1.csr"
    : >"$work/index"
    printf '%s\n' '[ca]' 'default_ca = ca' '[ca_default]' "database = $work/index" 'rand_serial = yes' \
        'default_md = sha256' 'policy = any' '[any]' 'commonName = supplied' "[ext]" "subjectAltName = $2" >"$work/config"
    openssl ca -batch -notext -config "$work/config" -name ca_default -extensions ext -cert authority.pem \
        -keyfile "$work/authority.key" -startdate "$3" -enddate "$4" -in "$work/$1.csr" -out "$1.pem" -outdir "$work" 2>/dev/null
}

authority authority
authority other-authority
signed engine "DNS:engine.test,IP:127.0.0.1" 20260101000000Z 21260101000000Z
signed elsewhere "DNS:elsewhere.test" 20260101000000Z 21260101000000Z
signed expired "DNS:engine.test,IP:127.0.0.1" 20200101000000Z 20210131000000Z
signed client "DNS:client.test" 20260101000000Z 21260101000000Z
