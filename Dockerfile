# The program alone: no shell, no package manager, no root.
#   docker build -t runa .
# Its file system may be read-only; serve writes to /data, the other roles nowhere but /tmp.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# .git is copied too: the commit is the name of the build that workers tell the engine.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/runa ./cmd/runa
# The engine asks at its start who it runs as, and fails for a user without a name.
RUN mkdir -p /out/data /out/tmp /out/etc && chmod 1777 /out/tmp && echo 'runa:x:65532:65532::/data:/' >/out/etc/passwd

FROM scratch
LABEL org.opencontainers.image.title="runa" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/tmp /tmp
COPY --from=build /out/etc/passwd /etc/passwd
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/runa /usr/bin/runa
ENV RUNA_DATA_DIR=/data USER=runa HOME=/data
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/runa"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
