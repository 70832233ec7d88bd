// Debian's Chromium against a platform that run.sh started; no browser is downloaded.
import { defineConfig } from '@playwright/test';

const view = (name, width, height, colorScheme) => ({ name, use: { viewport: { width, height }, colorScheme } });

export default defineConfig({
  testDir: '.',
  outputDir: process.env.CONSOLE_OUTPUT ?? 'output',
  workers: 1,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: [['list']],
  use: {
    baseURL: process.env.CONSOLE_URL,
    ignoreHTTPSErrors: true,
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
  },
  projects: [
    { ...view('wide', 1440, 900, 'light'), testMatch: /.*\.spec\.js/ },
    { ...view('narrow', 360, 740, 'dark'), testMatch: /(pages|journey)\.spec\.js/ },
  ],
});
