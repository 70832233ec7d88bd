import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/** Says which instance answered; leaves when the platform asks it to, with requests under way finished. */
public class Hello {
  static String or(String value, String other) {
    return value == null ? other : value;
  }

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(or(System.getenv("PORT"), "8080"));
    String text = "Hello from Java " + System.getProperty("java.version") + " on cflite, instance " + or(System.getenv("CF_INSTANCE_INDEX"), "0") + "\n";
    byte[] body = text.getBytes(StandardCharsets.UTF_8);

    HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
    server.createContext("/", exchange -> {
      exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      System.out.println("stopping");
      server.stop(1);
    }));
    server.start();
    System.out.println("listening on " + port);
  }
}
