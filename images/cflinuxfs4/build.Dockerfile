# The build image: the run image with compilers and headers, for staging.
ARG RUN=cflite/cflinuxfs4:run
# As in the run image: only what is downloaded goes on.
FROM ${RUN} AS downloads
USER 0:0
COPY certificates /usr/local/share/ca-certificates/
RUN update-ca-certificates > /dev/null && bash /usr/share/cflite/install-nodejs headers
LABEL cflite.role="downloads"

FROM ${RUN}
LABEL org.opencontainers.image.title="cflinuxfs4-build" \
      org.opencontainers.image.description="Cloud Foundry stack for staging apps, built from Debian packages"

USER 0:0
COPY packages/build.list /usr/share/cflite/packages/
RUN bash /usr/share/cflite/install-packages /usr/share/cflite/packages/build.list
COPY --from=downloads /usr/local/include/ /usr/local/include/
USER 2000:2000
