#!/bin/sh
# Reads the public events of kubernaut-workflow with the nats command line and jq, and prints one line of JSON for each.
#
# `nats` writes each message into a file of its own and acknowledges it then, so that nothing is lost whatever is killed;
# the loop below does the work on the files, in order, and takes them away after it. The last ordinal of each workflow is
# kept in a file, too: repeats and gaps are told also across restarts. Needs: nats, jq.
set -eu
: "${NATS_URL:?where NATS is}" "${KUBERNAUT_DURABLE:?a name of your own for your place in the stream}"
here=$(cd "$(dirname "$0")" && pwd)
spool=${KUBERNAUT_SPOOL:-${TMPDIR:-/tmp}/kubernaut-$KUBERNAUT_DURABLE}
inbox=_INBOX_$(printf %s "$KUBERNAUT_DURABLE" | tr - _) # what the read-only role may listen on
mkdir -p "$spool/messages"
[ -s "$spool/state.json" ] || echo '{}' >"$spool/state.json"

ask() { nats --server "$NATS_URL" --inbox-prefix "$inbox" --no-context "$@"; }

ask consumer info KUBERNAUT_EVENTS "$KUBERNAUT_DURABLE" >/dev/null 2>&1 ||
  ask consumer add KUBERNAUT_EVENTS "$KUBERNAUT_DURABLE" --pull --ack explicit --wait 10s --max-pending 1 \
    --deliver all --filter 'kubernaut.event.>' --defaults >/dev/null
ask sub --stream KUBERNAUT_EVENTS --durable "$KUBERNAUT_DURABLE" --dump "$spool/messages" >/dev/null 2>&1 &
reader=$!
trap 'kill $reader 2>/dev/null; exit 0' TERM INT

while kill -0 $reader 2>/dev/null; do
  files=$(find "$spool/messages" -name '*.json' -size +0 | awk -F/ '{ print $NF }' | sort -n | head -n 10)
  [ -n "$files" ] || { sleep 0.2; continue; }
  # A file that is just being written is no JSON yet: then all of it again, a moment later.
  (cd "$spool/messages" && jq -cn --slurpfile state ../state.json -f "$here/read.jq" $files) >"$spool/lines" \
    2>/dev/null || { sleep 0.2; continue; }
  sed '$d' "$spool/lines" # your work
  sed -n '$p' "$spool/lines" | jq -c .state >"$spool/state.new"
  mv "$spool/state.new" "$spool/state.json"
  (cd "$spool/messages" && rm -f $files)
done
echo "nats ended; start me again" >&2
exit 1
