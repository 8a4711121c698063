#!/bin/sh
# Pushes the lines of a file exactly once: push.sh URL SOURCE FILE. The state is the number of lines pushed.
set -u
url=$1 source=$2 file=$3 lines=${LINES_PER_BATCH:-100} pause=1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

call() {  # prints the status, 000 when there is no answer; the answer is left in $tmp/answer
  curl --silent --max-time 60 --output "$tmp/answer" --write-out '%{http_code}' \
    ${SLUICE_TOKEN:+--header} ${SLUICE_TOKEN:+"Authorization: Bearer $SLUICE_TOKEN"} "$@" || true
}
accepted() { sed -n 's/.*"accepted": *"\([0-9]*\)".*/\1/p' "$tmp/answer"; }
wait_a_while() { sleep "$pause"; pause=$((pause < 8 ? pause * 2 : 8)); }
stop() { echo "$1: $(cat "$tmp/answer")" >&2; exit 1; }

while :; do
  status=$(call "$url/sources/$source/state")
  case $status in
    200) state=$(accepted); break ;;
    404) state='*'; break ;;
    000|408|429|5??) wait_a_while ;;
    *) stop "cannot read the state ($status)" ;;
  esac
done

while :; do
  done=${state#\*}
  done=${done:-0}
  tail -n "+$((done + 1))" "$file" | head -n "$lines" > "$tmp/batch"
  next=$((done + $(wc -l < "$tmp/batch")))
  if [ "$next" = "$done" ]; then exit 0; fi
  status=$(call --data-binary "@$tmp/batch" --header "ODF-If-Source-State: $state" \
    --header "ODF-Source-State: $next" "$url/ingest?sourceName=$source")
  case $status in
    200|202) state=$next pause=1 ;;
    412) state=$(accepted); if [ -z "$state" ]; then stop "the source has lost its state"; fi ;;
    000|408|429|5??) wait_a_while ;;
    *) stop "refused ($status)" ;;
  esac
done
