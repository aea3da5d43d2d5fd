# The manager alone: a static binary and the certificates that package repositories are checked against.
#
#   docker build -t ghcr.io/dkoshkin/kubernetes-upgrader:v0.7.0 .
#
# musl targets link statically, so that the image below needs no libc; --platform builds for other machines.
FROM docker.io/library/rust:1.95-alpine AS build
RUN apk add --no-cache ca-certificates gcc musl-dev
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package manager --bin manager

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
