CREATE TABLE IF NOT EXISTS notes (
  id bigint AUTO_INCREMENT PRIMARY KEY,
  text text NOT NULL,
  written timestamp NOT NULL DEFAULT current_timestamp
);
