import"./shop.chunk-2OJ7TOE4.js";import"./shop.chunk-NOV75CWV.js";
