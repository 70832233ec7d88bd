// Keeps notes in the Redis that is bound to the app.
const express = require('express');
const { createClient } = require('redis');

// Of the first bound service that says it is a Redis.
function credentials() {
  const services = JSON.parse(process.env.VCAP_SERVICES || '{}');
  const found = Object.values(services).flat().find((service) => service.tags.includes('redis'));
  if (!found) throw new Error('no Redis is bound: cf create-service redis small notes-redis');
  return found.credentials;
}

const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (notes) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Notes in Redis</title>
<h1>Notes in Redis</h1>
<form method="post" action="/notes"><input name="text" aria-label="Note" required autofocus> <button>Add</button></form>
<ul>
${notes.map(({ text, written }) => `  <li>${escape(text)} <small>${escape(written)}</small></li>`).join('\n')}
</ul>
</html>
`;

async function main() {
  // The client connects again by itself; without a connection commands fail instead of waiting for one.
  const redis = createClient({ url: credentials().uri, disableOfflineQueue: true });
  redis.on('error', (error) => console.error('redis:', error.message));
  await redis.connect();

  const app = express();
  app.use(express.urlencoded({ extended: false }));

  app.get('/', async (request, response) => {
    const notes = await redis.lRange('notes', 0, 99);
    response.send(page(notes.map((note) => JSON.parse(note))));
  });

  app.post('/notes', async (request, response) => {
    const text = String(request.body?.text ?? '').trim();
    if (!text) return response.status(422).send('a note has a text\n');
    await redis.lPush('notes', JSON.stringify({ text, written: new Date().toISOString() }));
    response.redirect(303, '/');
  });

  // Does not ask the database, whose trouble must not restart the app.
  app.get('/health', (request, response) => {
    response.send('ok\n');
  });

  const server = app.listen(process.env.PORT || 8080, () => console.log(`listening on ${server.address().port}`));
  process.on('SIGTERM', () => {
    console.log('stopping');
    server.close(async () => {
      await redis.close();
      process.exit(0);
    });
  });
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
