# The image of ThoughtGate: one static binary and the CA certificates, nothing else.
#
# It is built from a folder that xtask fills for the image metrics (the binary, the certificates, their
# times set to the commit's), so the same checkout gives the same layers with BuildKit and without.
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY thoughtgate /thoughtgate
# Nobody in particular: the process writes nothing but what a volume is mounted for.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/thoughtgate"]
