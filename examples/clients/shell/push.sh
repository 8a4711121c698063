#!/bin/sh
# Pushes the lines of a file exactly once: push.sh URL SOURCE FILE. The state is the number of lines pushed.
set -u
url=$1 source=$2 file=$3 lines=${LINES_PER_BATCH:-100}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

stop() { echo "$1" >&2; exit 1; }

# Repeats a call with growing pauses until there is an answer that says something: its status, and $tmp/answer.
call() {
  pause=1
  while :; do
    status=$(curl --silent --max-time 60 --output "$tmp/answer" --write-out '%{http_code}' \
      ${SLUICE_TOKEN:+--header} ${SLUICE_TOKEN:+"Authorization: Bearer $SLUICE_TOKEN"} "$@") || status=000
    case $status in
      000|408|429|5??) sleep "$pause"; pause=$((pause < 8 ? pause * 2 : 8)) ;;
      *) break ;;
    esac
  done
}
accepted() { sed -n 's/.*"accepted": *"\([^"]*\)".*/\1/p' "$tmp/answer"; }

[ -r "$file" ] || stop "cannot read $file"
call "$url/sources/$source/state"
case $status in
  200) state=$(accepted) ;;
  404) state='*' ;;
  *) stop "cannot read the state ($status): $(cat "$tmp/answer")" ;;
esac

while :; do
  case $state in
    '*') done=0 ;;
    ''|0?*|*[!0-9]*) stop "the source's state is no number of lines: '$state'" ;;
    *) done=$state ;;
  esac
  tail -n "+$((done + 1))" "$file" | head -n "$lines" > "$tmp/batch"
  next=$((done + $(awk 'END { print NR }' "$tmp/batch"))) # wc would not count a last line that lacks its newline
  if [ "$next" = "$done" ]; then exit 0; fi
  call --data-binary "@$tmp/batch" --header "ODF-If-Source-State: $state" --header "ODF-Source-State: $next" \
    "$url/ingest?sourceName=$source"
  case $status in
    200|202) state=$next ;;
    412) state=$(accepted); [ -n "$state" ] || stop "the source has lost its state: $(cat "$tmp/answer")" ;; # else go where it is
    *) stop "refused ($status): $(cat "$tmp/answer")" ;;
  esac
done
