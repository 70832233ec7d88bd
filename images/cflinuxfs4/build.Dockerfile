# The build image: the run image with compilers and headers, for staging.
ARG RUN=cflite/cflinuxfs4:run
FROM ${RUN}
LABEL org.opencontainers.image.title="cflinuxfs4-build" \
      org.opencontainers.image.description="Cloud Foundry stack for staging apps, built from Debian packages"

USER 0:0
COPY packages/build.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/build.list \
 && bash /usr/share/cflite/install-nodejs headers
USER 2000:2000
