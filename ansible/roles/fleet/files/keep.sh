#!/bin/sh
# Puts together what was fetched of a host, on the machine that fetches:
#
#   keep.sh whole|partial RESULTS HOST RECORD "PART..."
#
# The parts lie in RESULTS/HOST.partial/parts. Whole, they become RESULTS/HOST with RECORD as fleet.json in it; an earlier
# RESULTS/HOST moves to RESULTS/.earlier/, for what was measured is not dropped. Partial, whatever can be unpacked of them
# lies beside them in RESULTS/HOST.partial, whose parts the next call goes on with.
set -eu
state=$1 results=$2 host=$3 record=$4 parts=$5
partial=$results/$host.partial
new=$results/.$host.new

mkdir -p "$partial/parts"
rm -rf "$new"
mkdir "$new"
# In order, up to the first that is missing; nothing of the host's decides where a file goes or whose it is.
for part in $parts; do
    [ -f "$partial/parts/$part" ] || break
    cat "$partial/parts/$part"
done >"$partial/archive"
if [ "$state" = whole ]; then
    tar -xzf "$partial/archive" -C "$new" --no-same-owner --no-same-permissions
else
    # What is torn is what is expected to be.
    tar -xzf "$partial/archive" -C "$new" --no-same-owner --no-same-permissions 2>/dev/null || :
fi
rm -f "$partial/archive"
# A link of the host's would be followed by who reads the results.
find "$new" -type l -delete
printf '%s\n' "$record" >"$new/fleet.json"
if [ "$state" = partial ]; then
    cp -R "$new/." "$partial/"
    rm -rf "$new"
    exit
fi
if [ -e "$results/$host" ]; then
    mkdir -p "$results/.earlier"
    mv "$results/$host" "$results/.earlier/$host-$(date -u +%Y%m%dT%H%M%SZ)-$$"
fi
mv "$new" "$results/$host"
rm -rf "$partial"
