#!/bin/sh
# Makes the namespace unless it is there. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are in the environment.
set -eu

tries=0
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || {
    temporal operator cluster health
    exit 1
  }
  sleep 1
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
