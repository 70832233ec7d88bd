<?php

function greeting(string $language): string
{
    return "Hello from $language on cflite";
}
