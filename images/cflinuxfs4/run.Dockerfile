# The run image: where apps and tasks run. Languages, no compilers.
# A language is a list in packages/ and two lines here.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
LABEL org.opencontainers.image.title="cflinuxfs4" \
      org.opencontainers.image.description="Cloud Foundry stack for running apps, built from Debian packages"

COPY install-packages /usr/share/cflite/
COPY packages/base.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/base.list

COPY certificates /usr/local/share/ca-certificates/
COPY set-up-stack /usr/share/cflite/
RUN bash /usr/share/cflite/set-up-stack

COPY packages/python.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/python.list

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
