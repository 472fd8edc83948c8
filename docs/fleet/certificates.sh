#!/bin/sh
# Makes the certificates of BuildKit daemons and of their clients, with openssl: certificates.sh DIRECTORY NAME...
# A NAME is a host or an address that BUILDERS has; *.buildkitd.build.svc stands for all pods of buildkitd.yaml.
# DIRECTORY/daemon is for the daemons, DIRECTORY/client for BUILDER_CERTS. DIRECTORY/ca-key.pem belongs to neither:
# it signs new ones when the script is run again, which it has to be within a year.
set -eu
umask 077
: "${2:?certificates.sh DIRECTORY NAME...}"
mkdir -p "$1/daemon" "$1/client"
cd "$1"
shift

new_key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

# a key in the directory $1 and a certificate for it, with the extensions $2
sign() {
  new_key "$1/key.pem"
  printf '%b' "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n$2\n" >"$1/extensions"
  openssl req -new -key "$1/key.pem" -subj "/CN=buildkit $1" |
    openssl x509 -req -days 365 -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile "$1/extensions" -out "$1/cert.pem"
  rm "$1/extensions"
  cp ca.pem "$1"
}

names=
for name; do
  case $name in
    *:*) kind=IP ;;
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
  esac
  names=$names${names:+,}$kind:$name
done

if [ ! -e ca-key.pem ]; then
  new_key ca-key.pem
  openssl req -x509 -new -key ca-key.pem -days 3650 -subj "/CN=buildkit CA" -out ca.pem
fi
sign daemon "extendedKeyUsage=serverAuth\nsubjectAltName=$names"
sign client "extendedKeyUsage=clientAuth"
