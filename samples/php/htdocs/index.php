<?php
// Says which instance answered, with code from lib/, which is on PHP's include path.
require 'greeting.php';
?>
<!doctype html>
<title>PHP on cflite</title>
<h1><?= htmlspecialchars(greeting('PHP')) ?></h1>
<p>instance <?= htmlspecialchars(getenv('CF_INSTANCE_INDEX') ?: '0') ?>, PHP <?= PHP_VERSION ?></p>
