# The image of ThoughtGate: one static binary and the CA certificates, nothing else.
#
# It is built by `cargo xtask image`, from a folder with the two files, their times set to the
# commit's. Both lie at the root: folders would get the time of the build, and the same checkout would
# not give the same layers, with BuildKit or without.
FROM scratch
COPY ca-certificates.crt /ca-certificates.crt
COPY thoughtgate /thoughtgate
ENV SSL_CERT_FILE=/ca-certificates.crt
# Not every runtime says so itself. In a container the default address is not the loopback one.
ENV container=oci
# Nobody in particular: the process writes nothing but what a volume is mounted for.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/thoughtgate"]
