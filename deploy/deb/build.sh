#!/bin/bash
# Makes the Debian packages from a binary and its documents, by dpkg-deb alone: no network, no root, the same bytes from the same
# source.
#
#     deploy/deb/build.sh BINARY DOCUMENTS OUT
#
# BINARY: tandem, built. DOCUMENTS: what `cargo run --example documents` wrote. OUT: where the packages go.
# DEB_VERSION (default: that of Cargo.toml), DEB_MAINTAINER, DEB_COMPRESSION (-Zxz).
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 BINARY DOCUMENTS OUT" >&2; exit 64; }
binary=$(realpath "$1") documents=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
cd "$(dirname "$0")/../.."

version=${DEB_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
maintainer=${DEB_MAINTAINER:-The Tandem developers <tandem@packages.invalid>}
architecture=$(dpkg --print-architecture)
# Times in the packages are those of the source, not of the build.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
# What dpkg-deb and gzip write must not depend on who builds.
export LC_ALL=C TZ=UTC
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# put MODE FILE...: copies files to the folder $to of the package.
to=
put() {
    local mode=$1
    shift
    install -d "$root$to"
    install -m "$mode" -t "$root$to" "$@"
}
# tree FOLDER: copies all that is in it, below $to; scripts stay executable.
tree() {
    local from=$1 file
    while read -r file; do
        install -D -m "$([ -x "$from/$file" ] && echo 755 || echo 644)" "$from/$file" "$root$to/$file"
    done < <(cd "$from" && find . -type f ! -name '*.swp' | sort)
}

# finish NAME: fills in control, counts, packs.
finish() {
    local name=$1 size
    install -d "$root/usr/share/doc/$name" "$root/DEBIAN"
    install -m 644 deploy/deb/copyright "$root/usr/share/doc/$name/copyright"
    printf '%s (%s) unstable; urgency=medium\n\n  * What changed: /usr/share/doc/tandem/CHANGELOG.md.gz\n\n -- %s  %s\n' \
        "$name" "$version" "$maintainer" "$(date -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$root/usr/share/doc/$name/changelog.gz"
    install -D -m 644 "deploy/deb/$name/lintian-overrides" "$root/usr/share/lintian/overrides/$name"
    for script in preinst postinst prerm postrm; do
        if [ -e "deploy/deb/$name/$script" ]; then install -m 755 "deploy/deb/$name/$script" "$root/DEBIAN/$script"; fi
    done
    if [ -e "deploy/deb/$name/conffiles" ]; then install -m 644 "deploy/deb/$name/conffiles" "$root/DEBIAN/conffiles"; fi
    size=$(du -ks --apparent-size --exclude=DEBIAN "$root" | cut -f 1)
    sed -e "s|@VERSION@|$version|; s|@ARCH@|$architecture|; s|@MAINTAINER@|$maintainer|; s|@SIZE@|$size|; s|@SHLIBS@|${shlibs:-}|" \
        "deploy/deb/$name/control" >"$root/DEBIAN/control"
    (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    # shellcheck disable=SC2086 # two words
    dpkg-deb --root-owner-group ${DEB_COMPRESSION:--Zxz} --build "$root" "$out" >/dev/null
    echo "$out/${name}_${version}_$(sed -n 's/^Architecture: //p' "$root/DEBIAN/control").deb"
}

# --- tandem ----------------------------------------------------------------------------------------------------------
root=$work/tandem
to=/usr/bin put 755 "$binary"
[ "$(basename "$binary")" = tandem ] || mv "$root/usr/bin/$(basename "$binary")" "$root/usr/bin/tandem"
# Names of functions stay, for backtraces; what debuggers read besides would be ten times the program.
strip --strip-debug "$root/usr/bin/tandem"
install -d "$root/usr/libexec/tandem"
ln -s ../../bin/tandem "$root/usr/libexec/tandem/keepalived"
to=/etc/tandem put 640 deploy/tandem.conf
to=/usr/lib/systemd/system put 644 deploy/systemd/tandem.service deploy/systemd/tandem@.service
to=/usr/lib/sysusers.d put 644 deploy/sysusers.d/tandem.conf
to=/usr/share/tandem put 644 config/tandem.schema.json src/control/openapi.json
# What other programs are pointed at as it is: examples are not for that.
to=/usr/share/tandem/prometheus put 644 deploy/prometheus/tandem.rules.yml
to=/usr/share/tandem/grafana put 644 deploy/grafana/tandem.json
to=/usr/share tree "$documents"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
to=/usr/share/doc/tandem put 644 README.md docs/*.md
to=/usr/share/doc/tandem/images put 644 docs/images/*.png
# Here the documents lie in one folder, and what they lead to beside them. README's links to the source lead nowhere.
sed -i -E 's#\]\(docs/#](#g; s#\]\((\.\./)?deploy/(prometheus/tandem\.rules\.yml|grafana/tandem\.json)\)#](/usr/share/tandem/\2)#g
    s#\]\(\.\./README\.md#](README.md#g; s#\]\((\.\./)?config/examples/#](examples/config/#g; s#\]\((\.\./)?deploy/#](examples/#g' \
    "$root"/usr/share/doc/tandem/*.md
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/tandem/CHANGELOG.md.gz"
to=/usr/share/doc/tandem/examples/config tree config/examples
to=/usr/share/doc/tandem/examples/systemd put 644 deploy/systemd/drop-ins/*.conf
for part in sysctl.d real-server apparmor ansible docker; do
    to=/usr/share/doc/tandem/examples/$part tree deploy/$part
done
to=/usr/share/doc/tandem/examples/prometheus put 644 deploy/prometheus/prometheus.example.yml

# Which libraries the program needs, by the packages of this machine that bring them.
mkdir -p "$work/debian"
printf 'Source: tandem\n\nPackage: tandem\nArchitecture: any\n' >"$work/debian/control"
shlibs=$(cd "$work" && dpkg-shlibdeps -O --warnings=0 "$root/usr/bin/tandem" | sed -n 's/^shlibs:Depends=//p')
[ -n "$shlibs" ] || { echo "dpkg-shlibdeps found no library that $binary needs" >&2; exit 1; }
finish tandem

# --- tandem-keepalived: the name ---------------------------------------------------------------------------------------
root=$work/tandem-keepalived
install -d "$root/usr/sbin" "$root/usr/bin"
ln -s ../bin/tandem "$root/usr/sbin/keepalived"
ln -s tandem "$root/usr/bin/genhash"
finish tandem-keepalived
