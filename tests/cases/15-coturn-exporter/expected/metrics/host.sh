#!/bin/sh
# Made by synapse-workers: writes metrics of this host that no exporter tells. Arguments: FILE, then NAME DIRECTORY pairs.
set -eu
file=$1
shift

# column NAME FORMAT NAME DIRECTORY…: what stat -f tells of the file system of each directory, times the size of its blocks.
column() {
    name=$1 format=$2
    shift 2
    echo "# TYPE $name gauge"
    while [ $# -gt 1 ]; do
        blocks=$(stat --file-system --format="$format" -- "$2")
        size=$(stat --file-system --format=%S -- "$2")
        echo "$name{directory=\"$1\"} $((blocks * size))"
        shift 2
    done
}

{
    column synapse_host_disk_free_bytes %a "$@"
    column synapse_host_disk_size_bytes %b "$@"
    if [ -f "${CREDENTIALS_DIRECTORY:-}/certificate" ]; then
        end=$(openssl x509 -noout -enddate -in "$CREDENTIALS_DIRECTORY/certificate")
        echo "# TYPE synapse_host_certificate_end_seconds gauge"
        echo "synapse_host_certificate_end_seconds $(date --date="${end#notAfter=}" +%s)"
    fi
} >"$file.new"
mv "$file.new" "$file"
