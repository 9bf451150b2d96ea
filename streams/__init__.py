"""The stream: Kafka in, forecasts out; everything that touches Faust, Kafka, HTTP or the command line."""
