# pgweir in an image of its own: built from this checkout, run by a user
# without rights.
#
#   docker build -t pgweir .
#   docker run -p 6432:6432 -v ./pgweir.ini:/etc/pgweir/pgweir.ini pgweir
#
# With PGWEIR_NODES set and no ini there, scripts/docker/pgweir-entry writes
# one, as docker-compose.replica.yml does.

FROM debian:12-slim AS build
COPY scripts/lib/install.sh /tmp/install.sh
RUN bash /tmp/install.sh build
WORKDIR /pgweir
COPY . .
RUN autoreconf -fi && \
	./configure --prefix=/usr --sysconfdir=/etc && \
	make -j"$(nproc)" && \
	make install-strip DESTDIR=/out

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
	libevent-2.1-7 libevent-extra-2.1-7 libevent-pthreads-2.1-7 \
	libssl3 libpq5 libinih1 libxxhash0 ca-certificates curl && \
	rm -rf /var/lib/apt/lists/* && \
	useradd --system --home-dir /etc/pgweir --shell /usr/sbin/nologin \
		pgweir && \
	install -d -o pgweir -g pgweir -m 750 /etc/pgweir
COPY --from=build /out/usr/bin/pgweir /usr/bin/pgweir
COPY --from=build /out/usr/share/doc/pgweir /usr/share/doc/pgweir
COPY scripts/lib/cluster.sh /opt/pgweir/lib/cluster.sh
COPY scripts/docker/pgweir-entry /opt/pgweir/docker/pgweir-entry
ENV CLUSTER_USER=pgweir PGWEIR_DIR=/etc/pgweir PGWEIR_BIN=/usr/bin/pgweir
USER pgweir
VOLUME /etc/pgweir
EXPOSE 6432 9127
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s --retries=3 \
	CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:9127/readyz"]
ENTRYPOINT ["/opt/pgweir/docker/pgweir-entry"]
