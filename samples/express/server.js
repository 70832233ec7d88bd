// Says which instance answered; leaves when the platform asks it to, with requests under way finished.
const express = require('express');

const app = express();
const application = JSON.parse(process.env.VCAP_APPLICATION || '{}');

app.get('/', (request, response) => {
  response.json({
    message: 'Hello from Express on cflite',
    application: application.name,
    instance: Number(process.env.CF_INSTANCE_INDEX || 0),
    node: process.version,
  });
});

const server = app.listen(process.env.PORT || 8080, () => console.log(`listening on ${server.address().port}`));
process.on('SIGTERM', () => {
  console.log('stopping');
  server.close(() => process.exit(0));
});
