# shellcheck shell=bash
# All libraries of this buildpack, for supply and finalize.
# shellcheck source=SCRIPTDIR/../../common/lib.sh
source "$BUILDPACK_DIR/../common/lib.sh"
# shellcheck source=SCRIPTDIR/../../common/fetch.sh
source "$BUILDPACK_DIR/../common/fetch.sh"
# shellcheck source=SCRIPTDIR/settings.sh
source "$BUILDPACK_DIR/lib/settings.sh"
# shellcheck source=SCRIPTDIR/versions.sh
source "$BUILDPACK_DIR/lib/versions.sh"
# shellcheck source=SCRIPTDIR/maven.sh
source "$BUILDPACK_DIR/lib/maven.sh"
# shellcheck source=SCRIPTDIR/jre.sh
source "$BUILDPACK_DIR/lib/jre.sh"
# shellcheck source=SCRIPTDIR/container.sh
source "$BUILDPACK_DIR/lib/container.sh"
# shellcheck source=SCRIPTDIR/spring.sh
source "$BUILDPACK_DIR/lib/spring.sh"
# shellcheck source=SCRIPTDIR/tomcat.sh
source "$BUILDPACK_DIR/lib/tomcat.sh"
# shellcheck source=SCRIPTDIR/groovy.sh
source "$BUILDPACK_DIR/lib/groovy.sh"
