package notes;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.util.HtmlUtils;

import java.net.URI;
import java.time.LocalDateTime;
import java.util.stream.Collectors;

/** Keeps notes in the MariaDB that is bound to the app. See application.properties. */
@SpringBootApplication
@RestController
public class Notes {
  private static final String PAGE = """
      <!doctype html>
      <html lang="en">
      <meta charset="utf-8">
      <title>Notes in MariaDB</title>
      <h1>Notes in MariaDB</h1>
      <form method="post" action="/notes"><input name="text" aria-label="Note" required autofocus> <button>Add</button></form>
      <ul>
      %s
      </ul>
      </html>
      """;

  private final JdbcTemplate database;

  public Notes(JdbcTemplate database) {
    this.database = database;
  }

  public static void main(String[] arguments) {
    SpringApplication.run(Notes.class, arguments);
  }

  record Note(String text, LocalDateTime written) {
    String html() {
      return "  <li>" + HtmlUtils.htmlEscape(text) + " <small>" + written.withNano(0) + "</small></li>";
    }
  }

  @GetMapping(value = "/", produces = "text/html;charset=utf-8")
  String index() {
    var notes = database.query(
        "SELECT text, written FROM notes ORDER BY id DESC LIMIT 100",
        (row, number) -> new Note(row.getString("text"), row.getTimestamp("written").toLocalDateTime()));
    return PAGE.formatted(notes.stream().map(Note::html).collect(Collectors.joining("\n")));
  }

  @PostMapping("/notes")
  ResponseEntity<String> add(@RequestParam(defaultValue = "") String text) {
    if (text.isBlank()) {
      return ResponseEntity.unprocessableEntity().body("a note has a text\n");
    }
    database.update("INSERT INTO notes (text) VALUES (?)", text.strip());
    return ResponseEntity.status(303).location(URI.create("/")).build();
  }

  /** Does not ask the database, whose trouble must not restart the app. */
  @GetMapping("/health")
  String health() {
    return "ok\n";
  }
}
