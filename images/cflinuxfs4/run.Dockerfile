# The run image: where apps and tasks run. Languages, no compilers.
# A language is a list in packages/ and two lines here.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS system
COPY install-packages /usr/share/cflite/
COPY packages/base.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/base.list

COPY set-up-stack /usr/share/cflite/
RUN bash /usr/share/cflite/set-up-stack

COPY packages/python.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/python.list

# Downloads what is no Debian package, trusting the authorities of the machine that builds. Only the downloaded files go on from here.
FROM system AS downloads
COPY certificates /usr/local/share/ca-certificates/
COPY install-nodejs /usr/share/cflite/
COPY packages/nodejs.pypi /usr/share/cflite/packages/
RUN update-ca-certificates > /dev/null && bash /usr/share/cflite/install-nodejs download
LABEL cflite.role="downloads"

FROM system
LABEL org.opencontainers.image.title="cflinuxfs4" \
      org.opencontainers.image.description="Cloud Foundry stack for running apps, built from Debian packages"

COPY --from=downloads /usr/local/bin/ /usr/local/bin/
COPY --from=downloads /usr/local/lib/ /usr/local/lib/
COPY install-nodejs /usr/share/cflite/
COPY packages/nodejs.list packages/nodejs.pypi /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-nodejs runtime

COPY packages/ruby.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/ruby.list

COPY packages/java.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/java.list

COPY install-nginx /usr/share/cflite/
COPY packages/nginx.list packages/nginx.next packages/nginx-common.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-nginx

COPY packages/php.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/php.list

ENV LANG=en_US.UTF-8
WORKDIR /home/vcap
USER 2000:2000
CMD ["/bin/bash"]
