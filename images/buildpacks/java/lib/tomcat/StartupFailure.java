package cflite;

import org.apache.catalina.Container;
import org.apache.catalina.Host;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.LifecycleEvent;
import org.apache.catalina.LifecycleListener;

/** Ends Tomcat when a web application in it failed to start, so that the platform sees a crash and not an instance that answers 404. */
public final class StartupFailure implements LifecycleListener {
  @Override
  public void lifecycleEvent(LifecycleEvent event) {
    if (!Lifecycle.AFTER_START_EVENT.equals(event.getType()) || !(event.getLifecycle() instanceof Host)) {
      return;
    }
    for (Container context : ((Host) event.getLifecycle()).findChildren()) {
      if (!context.getState().isAvailable()) {
        System.err.println("Error: the web application [" + context.getName() + "] failed to start: the instance exits");
        System.err.flush();
        Runtime.getRuntime().halt(1);
      }
    }
  }
}
