module example.com/hello

go 1.23

require example.com/clock v1.0.0
