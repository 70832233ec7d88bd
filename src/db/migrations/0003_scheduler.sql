-- What the scheduler knows of instances beyond what Docker's labels say.
select 1;
