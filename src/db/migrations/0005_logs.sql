-- Log envelopes that outlive a restart, and how far Docker's logs were read.
select 1;
