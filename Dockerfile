# A static binary, no shell, not root. Build: docker build -t orgate .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -pgo=cmd/orgate/release.pgo -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /orgate ./cmd/orgate \
 && mkdir /data && chown 65532:65532 /data && chmod 0700 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /orgate /orgate
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/orgate"]
CMD ["serve", "--config", "/etc/orgate/orgate.yaml"]
